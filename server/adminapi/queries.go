package adminapi

func (a *api) queryRoutes() []route {
	return []route{}
}
