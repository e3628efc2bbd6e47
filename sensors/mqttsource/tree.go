package mqttsource

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxEach bounds how many parts one message is taken apart into.
const maxEach = 1000

// each calls do for every node that a path with * leads to, in a steady order, with
// what the last * stood for. A path that leads nowhere does nothing.
func each(node any, at, key string, do func(node any, key string)) {
	n := 0
	walk(node, at, key, func(node any, key string) {
		if n++; n <= maxEach {
			do(node, key)
		}
	})
}

func walk(node any, at, key string, do func(node any, key string)) {
	if at == "" {
		do(node, key)
		return
	}
	name, rest, _ := strings.Cut(at, ".")
	wild := strings.ContainsRune(name, '*')
	switch n := node.(type) {
	case map[string]any:
		if !wild {
			if v, ok := n[name]; ok {
				walk(v, rest, key, do)
			}
			return
		}
		var keys []string
		for k := range n {
			if glob(name, k) {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			walk(n[k], rest, k, do)
		}
	case []any:
		for i, v := range n {
			if k := strconv.Itoa(i); glob(name, k) {
				walk(v, rest, k, do)
			}
		}
	}
}

// glob matches a pattern in which * stands for anything but a slash.
func glob(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return ok && err == nil
}

// text gives a node that was found as text: a text itself, a number as it was written,
// true and false. Another kind of node is none.
func text(node any, found bool) (string, bool) {
	if !found {
		return "", false
	}
	switch n := node.(type) {
	case string:
		return n, true
	case json.Number:
		return n.String(), true
	case bool:
		return strconv.FormatBool(n), true
	}
	return "", false
}
