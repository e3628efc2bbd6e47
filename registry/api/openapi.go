package api

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"sync"
)

// The description is kept in parts, one an area of the API. collector.json is the
// first: it also says what the API is called and how one signs in.
//
//go:embed openapi/*.json
var openAPIParts embed.FS

// openAPI is the whole description. A part may add paths, and components under new
// names; two parts that describe the same thing are a mistake of ours.
var openAPI = sync.OnceValues(func() ([]byte, error) {
	const first = "openapi/collector.json"
	whole, err := readPart(first)
	if err != nil {
		return nil, err
	}
	names, err := openAPIParts.ReadDir("openapi")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		name := path.Join("openapi", n.Name())
		if name == first {
			continue
		}
		part, err := readPart(name)
		if err != nil {
			return nil, err
		}
		if err := merge(whole, part, "paths"); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		components, _ := whole["components"].(map[string]any)
		more, _ := part["components"].(map[string]any)
		for kind := range more {
			if err := merge(components, more, kind); err != nil {
				return nil, fmt.Errorf("%s: components: %w", name, err)
			}
		}
		tags, _ := whole["tags"].([]any)
		moreTags, _ := part["tags"].([]any)
		whole["tags"] = append(tags, moreTags...)
	}
	return json.Marshal(whole)
})

func readPart(name string) (map[string]any, error) {
	b, err := openAPIParts.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var part map[string]any
	if err := json.Unmarshal(b, &part); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return part, nil
}

// merge adds the entries of an object of part to that of whole.
func merge(whole, part map[string]any, key string) error {
	from, _ := part[key].(map[string]any)
	if len(from) == 0 {
		return nil
	}
	into, _ := whole[key].(map[string]any)
	if into == nil {
		into = map[string]any{}
		whole[key] = into
	}
	for k, v := range from {
		if _, taken := into[k]; taken {
			return fmt.Errorf("%s: %q is described twice", key, k)
		}
		into[k] = v
	}
	return nil
}
