package adminapi

func (a *api) tagRoutes() []route {
	return []route{}
}
