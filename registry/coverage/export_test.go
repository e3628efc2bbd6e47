package coverage

// DifferFromNaive compares counts with those of the second way; "" when they are the same.
func DifferFromNaive(r *Run, got []Count, people []Person) string {
	return differ(got, naively(r, people))
}
