package adminapi

func (a *api) auditRoutes() []route {
	return []route{}
}
