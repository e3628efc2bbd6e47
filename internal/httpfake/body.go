package httpfake

import (
	"bytes"
	"io"
)

// newBuffered reads all of r now, to be read again later.
func newBuffered(r io.Reader) (io.ReadCloser, error) {
	b, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(b)), err
}
