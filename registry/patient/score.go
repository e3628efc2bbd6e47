package patient

// Part is one field's share in a score, as it is shown to who decides.
type Part struct {
	Field  string  `json:"field"`
	Level  string  `json:"level"`  // how well it agrees, such as "same" or "sounds alike"
	Weight float64 `json:"weight"` // log2 of how much likelier this is of one person than of two
}
