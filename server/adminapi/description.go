package adminapi

func (a *api) descriptionRoutes() []route {
	return []route{}
}
