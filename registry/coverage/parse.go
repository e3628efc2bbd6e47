package coverage

import (
	"bytes"
	"encoding/json"

	"github.com/coldkeep/coldkeep"
)

// ParseMeasure reads a definition as JSON, in the form of the files of the program's own
// measures. A field that is not known is an error: a misspelt limit must not be no limit.
// EINVALID says what is wrong with the text; Check says what is wrong with the definition.
func ParseMeasure(b []byte) (Measure, error) {
	var m Measure
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(&m)
	if err == nil && dec.More() {
		return m, coldkeep.Errorf(coldkeep.EINVALID, "measure: something follows the definition")
	}
	return m, coldkeep.Wrap(err, coldkeep.EINVALID, "coverage.ParseMeasure", "measure: %v", err)
}
