package forecast

import (
	_ "embed"
	"sync"

	"github.com/coldkeep/coldkeep/registry/forecast/release"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

//go:generate go run ./gen -xml $CDSI_XML -version 4.64 -released 2025-11-10 -out builtin.json.gz

//go:embed builtin.json.gz
var builtin []byte

// Builtin gives the schedule that comes with the program, compiled on first use.
func Builtin() *schedule.Schedule { return builtinOnce() }

var builtinOnce = sync.OnceValue(func() *schedule.Schedule {
	rel, err := release.Unpack(builtin)
	if err != nil {
		panic("the built-in schedule cannot be read: " + err.Error())
	}
	s, err := schedule.Compile(rel)
	if err != nil {
		panic("the built-in schedule was refused: " + err.Error())
	}
	return s
})
