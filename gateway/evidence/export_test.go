package evidence

import "time"

// Small has the verifier sort on disk, and wait little.
func (v *Verifier) Small() *Verifier {
	v.rowsInMemory, v.settle = 50, time.Millisecond
	return v
}
