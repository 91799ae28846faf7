package adminapi

func (a *api) plannedRoutes() []route {
	return []route{}
}
