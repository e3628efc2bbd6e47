package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
)

// sampleFlags have a flag of each type.
type sampleFlags struct {
	Text   string        `help:"A text." default:"${home}/x" env:"COLDKEEP_TEST_TEXT"`
	Kind   string        `enum:"a,b" default:"a"`
	Yes    bool          `help:"A switch."`
	Times  int           `name:"n" env:"COLDKEEP_TEST_N"`
	Seed   uint64        `default:"1"`
	Speed  float64       `default:"1.5"`
	Every  time.Duration `default:"60s" help:"How often (${default})."`
	At     time.Time     `placeholder:"TIME"`
	Names  []string      `placeholder:"NAME" env:"COLDKEEP_TEST_NAMES"`
	Specs  []string      `sep:";"`
	Busses []int
	Inner  innerFlags `embed:""`
}

type innerFlags struct {
	WithCamelCase string
}

type noFlags struct{}

func TestOptions(t *testing.T) {
	t.Setenv("COLDKEEP_TEST_N", "7")
	t.Setenv("COLDKEEP_TEST_NAMES", "e,f")
	t.Setenv("COLDKEEP_TEST_TEXT", "")
	for line, want := range map[string]string{
		"":                              "one {/h/x a false 7 1 1.5 1m0s 0001-01-01 00:00:00 +0000 UTC [e f] [] [] {}}",
		"--text=t --kind b --yes --n 3": "one {t b true 3 1 1.5 1m0s 0001-01-01 00:00:00 +0000 UTC [e f] [] [] {}}",
		"one --seed 9 --speed=2 --every 2h --at 2026-03-01T12:00:00Z": "one {/h/x a false 7 9 2 2h0m0s 2026-03-01 12:00:00 +0000 UTC [e f] [] [] {}}",
		"--names a,b --names c --specs a,b --specs c;d --busses 1,2":  "one {/h/x a false 7 1 1.5 1m0s 0001-01-01 00:00:00 +0000 UTC [a b c] [a,b c d] [1 2] {}}",
		"--with-camel-case two --yes=false":                           "one {/h/x a false 7 1 1.5 1m0s 0001-01-01 00:00:00 +0000 UTC [e f] [] [] {two}}",
		"--global two --text two":                                     "one {two a false 7 1 1.5 1m0s 0001-01-01 00:00:00 +0000 UTC [e f] [] [] {}}",
		"--global g two":                                              "two g",
		"two --global=g":                                              "two g",
		"two --text t":                                                "! unknown flag --text",
		"three":                                                       "! there is no command \"three\"",
		"one extra":                                                   "! unexpected argument \"extra\"",
		"--text":                                                      "! --text: its value is missing",
		"--kind c":                                                    "! --kind \"c\": want one of a, b",
		"--n x":                                                       "! --n \"x\": want a number",
		"--every 5":                                                   "! --every \"5\": want a time",
		"--at noon":                                                   "! --at \"noon\"",
		"--busses 1,x":                                                "! --busses \"x\"",
		"--yes=maybe":                                                 "! --yes \"maybe\"",
		"-x":                                                          "! unexpected argument \"-x\"",
		"--help":                                                      "! help",
		"two -h":                                                      "! help",
	} {
		var global struct{ Global string }
		var one sampleFlags
		l := commandLine{global: &global, vars: map[string]string{"home": "/h"}, commands: []command{{"one", "The first.", &one, nil}, {"two", "The second.", &noFlags{}, nil}}}
		cmd, err := l.parse(strings.Fields(line))
		got := ""
		switch {
		case err != nil:
			got = "! " + strings.TrimPrefix(err.Error(), coldkeep.EINVALID+": ")
		case cmd.name == "two":
			got = "two " + global.Global
		default:
			got = fmt.Sprintf("one %v", one)
		}
		if strings.HasPrefix(want, "!") && !strings.Contains(got, want[2:]) || !strings.HasPrefix(want, "!") && got != want {
			t.Errorf("%q:\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestHelpPage(t *testing.T) {
	var one sampleFlags
	l := commandLine{about: strings.Repeat("word ", 40), global: &noFlags{}, vars: map[string]string{"home": "/h"}, commands: []command{{"one", "The first.", &one, nil}}}
	var b strings.Builder
	l.help(&b, nil)
	for _, want := range []string{"--text=/h/x", "A text. ($COLDKEEP_TEST_TEXT)", "How often (60s).", "--at=TIME", "  --yes\n", "The first."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 81 {
			t.Errorf("long line %q", line)
		}
	}
}
