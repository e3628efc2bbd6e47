package api

// each answers with every one of a list, an empty list for none.
func each[T, JSON any](all []T, out func(*T) JSON) []JSON {
	list := make([]JSON, len(all))
	for i := range all {
		list[i] = out(&all[i])
	}
	return list
}

// some is a list as it is answered: an empty one for none, never null.
func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
