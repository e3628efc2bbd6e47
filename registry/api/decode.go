package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// decodeOne reads a JSON object. What is wrong is EINVALID and names the field.
func decodeOne[T any](body []byte) (T, error) {
	var v T
	return v, decodeFields(body, "", &v)
}

// decodeList reads a JSON array of objects. What is wrong is EINVALID and names
// the place and the field.
func decodeList[T any](body []byte) ([]T, error) {
	var raw []json.RawMessage
	if err := strict(body, &raw); err != nil || raw == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "body: want a JSON array of objects%s", because(err))
	}
	out := make([]T, len(raw))
	for i, r := range raw {
		if err := decodeFields(r, fmt.Sprintf("[%d].", i), &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decodeFields reads an object field by field, since encoding/json does not say
// which field an UnmarshalJSON or a time failed in, and since a temperature that is
// not sent must be absent, not 0 °C. Fields that are not known are left alone: a
// newer collector may send more.
func decodeFields(body []byte, path string, into any) error {
	var raw map[string]json.RawMessage
	if err := strict(body, &raw); err != nil || raw == nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s: want a JSON object%s", strings.TrimSuffix(cmp.Or(path, "body"), "."), because(err))
	}
	return decodeStruct(raw, path, reflect.ValueOf(into).Elem())
}

func decodeStruct(raw map[string]json.RawMessage, path string, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Field(i)
		if v.Type().Field(i).Anonymous {
			if err := decodeStruct(raw, path, field); err != nil {
				return err
			}
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		b, sent := raw[name]
		if !sent {
			if t, ok := field.Addr().Interface().(*coldkeep.Temperature); ok {
				*t = coldkeep.NoTemperature
			}
			continue
		}
		if err := decodeField(b, path+name, field); err != nil {
			return err
		}
	}
	return nil
}

func decodeField(b json.RawMessage, path string, field reflect.Value) error {
	if field.Kind() != reflect.Slice || field.Type().Elem().Kind() != reflect.Struct {
		if err := json.Unmarshal(b, field.Addr().Interface()); err != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: %s", path, wanted(field, b, err))
		}
		return nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s: want a list of objects", path)
	}
	list := reflect.MakeSlice(field.Type(), len(raw), len(raw))
	for i, r := range raw {
		if err := decodeFields(r, fmt.Sprintf("%s[%d].", path, i), list.Index(i).Addr().Interface()); err != nil {
			return err
		}
	}
	if len(raw) > 0 {
		field.Set(list)
	}
	return nil
}

var errNUL = coldkeep.Errorf(coldkeep.EINVALID, "body: holds the sign U+0000, which no text may have")

// hasNUL reports whether a string of a JSON value holds U+0000, which PostgreSQL does not
// keep. Outside of strings JSON has none.
func hasNUL(body []byte) bool {
	for rest := body; ; {
		i := bytes.Index(rest, []byte(`\u0000`))
		if i < 0 {
			return false
		}
		slashes := 1
		for slashes <= i && rest[i-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 1 {
			return true
		}
		rest = rest[i+6:]
	}
}

// strict reads one JSON value and nothing after it.
func strict(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("something follows it")
	}
	return nil
}

func because(err error) string {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF):
		return "; it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "; it is cut off"
	case errors.As(err, &syntax):
		return fmt.Sprintf("; not JSON at byte %d: %v", syntax.Offset, syntax)
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return ", not a " + wrongType.Value
	}
	return "; " + err.Error()
}

func wanted(field reflect.Value, sent []byte, err error) string {
	if len(sent) > 60 {
		sent = append(bytes.Clone(sent[:60]), "…"...)
	}
	switch field.Interface().(type) {
	case time.Time, *time.Time:
		return fmt.Sprintf("%s: want a time such as \"2026-01-31T08:15:00Z\"", sent)
	case coldkeep.Threshold, *coldkeep.Threshold:
		return fmt.Sprintf("%s: want a limit such as \"8C\" or \"46F\"", sent)
	case coldkeep.Temperature, *coldkeep.Temperature:
		return fmt.Sprintf("%s: want degrees Celsius as a number, or null", sent)
	}
	switch field.Kind() {
	case reflect.String:
		return fmt.Sprintf("%s: want text", sent)
	case reflect.Int, reflect.Int64:
		return fmt.Sprintf("%s: want a whole number", sent)
	case reflect.Float64:
		return fmt.Sprintf("%s: want a number", sent)
	case reflect.Bool:
		return fmt.Sprintf("%s: want true or false", sent)
	case reflect.Slice:
		return fmt.Sprintf("%s: want a list", sent)
	}
	return coldkeep.ErrorMessage(err)
}
