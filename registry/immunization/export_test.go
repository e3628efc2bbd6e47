package immunization

// Known is what the service knows of vaccines.
func (s *Service) Known() Vaccines { return s.known() }
