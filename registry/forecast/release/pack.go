package release

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"

	coldkeep "github.com/coldkeep/coldkeep"
)

// maxUnpacked bounds a packed release as it is opened; 4.64 is 1.3 MB.
const maxUnpacked = 64 << 20

// Pack writes a release in the compact form in which it is built in and stored:
// JSON with short keys, in gzip. The same release gives the same bytes.
func (r *Release) Pack() ([]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Unpack reads what Pack wrote. EINVALID when it is something else.
func Unpack(packed []byte) (*Release, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "release.Unpack", "the stored release is damaged")
	}
	r := new(Release)
	if err := json.NewDecoder(io.LimitReader(z, maxUnpacked)).Decode(r); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "release.Unpack", "the stored release is damaged")
	}
	return r, nil
}
