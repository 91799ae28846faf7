package detect

import "context"

func (s *Store) install(context.Context) error { return nil }
