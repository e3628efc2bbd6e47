package coverage

import (
	"embed"
	"encoding/json"
	"sync"
)

//go:embed measures/*.json
var builtinFiles embed.FS

// Builtin lists the measures that come with the program, in the order in which they are
// offered.
func Builtin() []Measure { return builtinOnce() }

// order is that of the menu: what a practice looks at most comes first.
var order = []string{"4313314", "4313314-24", "cis-3", "cis-7", "cis-10", "teen", "ima-1", "ima-2", "influenza", "adult", "adult-65", "il-kindergarten", "il-grade-6"}

var builtinOnce = sync.OnceValue(func() []Measure {
	out := make([]Measure, len(order))
	for i, id := range order {
		b, err := builtinFiles.ReadFile("measures/" + id + ".json")
		if err == nil {
			err = json.Unmarshal(b, &out[i])
		}
		if err != nil {
			panic("the built-in measure " + id + " cannot be read: " + err.Error())
		}
	}
	return out
})
