package adminapi

func (a *api) packRoutes() []route {
	return []route{}
}
