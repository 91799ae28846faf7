package adminapi

func (a *api) configRoutes() []route {
	return []route{}
}
