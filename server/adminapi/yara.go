package adminapi

func (a *api) yaraRoutes() []route {
	return []route{}
}
