package adminapi

func (a *api) huntRoutes() []route {
	return []route{}
}
