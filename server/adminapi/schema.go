package adminapi

func (a *api) schemaRoutes() []route {
	return []route{}
}
