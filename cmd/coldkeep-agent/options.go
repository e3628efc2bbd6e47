package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/coldkeep/coldkeep"
)

// The command line is read from the tags of structs, which are those of the centre's
// library for it: help, name, placeholder, default, enum, env, sep and embed. That
// library calls methods by names it learns at run time, for which the linker keeps
// every method of every type, two megabytes of the agent; these few lines do not.

// option is one flag.
type option struct {
	name, help, placeholder, env, def, sep string
	enum                                   []string
	value                                  reflect.Value
}

// options lists the flags of a struct. Within a default and help, ${w1root} and the
// like stand for vars, and ${default} for the default.
func options(into any, vars map[string]string) []option {
	return fields(reflect.ValueOf(into).Elem(), vars)
}

func fields(v reflect.Value, vars map[string]string) (out []option) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if _, embed := f.Tag.Lookup("embed"); embed {
			out = append(out, fields(v.Field(i), vars)...)
			continue
		}
		tag := func(key string) string { return f.Tag.Get(key) }
		o := option{name: tag("name"), placeholder: tag("placeholder"), env: tag("env"), sep: tag("sep"), value: v.Field(i)}
		if o.name == "" {
			o.name = kebab(f.Name)
		}
		if o.sep == "" {
			o.sep = ","
		}
		if tag("enum") != "" {
			o.enum = strings.Split(tag("enum"), ",")
		}
		fill := func(s string) string {
			for name, value := range vars {
				s = strings.ReplaceAll(s, "${"+name+"}", value)
			}
			return strings.ReplaceAll(s, "${default}", o.def)
		}
		o.def = fill(tag("default"))
		o.help = fill(tag("help"))
		out = append(out, o)
	}
	return out
}

// kebab makes log-format of LogFormat.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (o *option) isBool() bool { return o.value.Kind() == reflect.Bool }

// set reads a text into the field; more adds it to a list that has values from the
// command line.
func (o *option) set(text string, more bool) error {
	if o.value.Kind() != reflect.Slice {
		return o.scalar(o.value, text)
	}
	list := reflect.MakeSlice(o.value.Type(), 0, 1)
	if more {
		list = o.value
	}
	for part := range strings.SplitSeq(text, o.sep) {
		if part == "" {
			continue
		}
		one := reflect.New(o.value.Type().Elem()).Elem()
		if err := o.scalar(one, part); err != nil {
			return err
		}
		list = reflect.Append(list, one)
	}
	o.value.Set(list)
	return nil
}

func (o *option) scalar(v reflect.Value, text string) (err error) {
	want := "a number"
	switch p := v.Addr().Interface().(type) {
	case *string:
		if want = "one of " + strings.Join(o.enum, ", "); o.enum != nil && !slices.Contains(o.enum, text) {
			err = strconv.ErrRange
		}
		*p = text
	case *bool:
		want = "true or false"
		*p, err = strconv.ParseBool(text)
	case *int:
		*p, err = strconv.Atoi(text)
	case *uint64:
		*p, err = strconv.ParseUint(text, 10, 64)
	case *float64:
		*p, err = strconv.ParseFloat(text, 64)
	case *time.Duration:
		want = "a time such as 90s or 2h"
		*p, err = time.ParseDuration(text)
	case *time.Time:
		want = "a time such as 2026-03-01T12:00:00Z"
		*p, err = time.Parse(time.RFC3339, text)
	default:
		return fmt.Errorf("--%s: a flag of type %s cannot be read", o.name, v.Type())
	}
	if err != nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "--%s %q: want %s", o.name, text, want)
	}
	return nil
}

// command is one of the program's, whose flags are the fields of the struct that flags
// points to.
type command struct {
	name, help string
	flags      any
	run        func() error
}

// commandLine is what there is to choose from. The first command is meant when none is
// named.
type commandLine struct {
	about    string
	global   any
	commands []command
	vars     map[string]string
}

// errHelp asks for the help of a command, of nil for that of the program.
type errHelp struct{ of *command }

// Error says so.
func (errHelp) Error() string { return "help" }

// parse reads arguments and environment into the flags of the command that it returns:
// defaults, then the environment, then the arguments.
func (l *commandLine) parse(args []string) (*command, error) {
	cmd, named := &l.commands[0], false
	find := l.finder(l.commands...)
	for i := 0; i < len(args) && !named; i++ {
		if !strings.HasPrefix(args[i], "-") {
			for j := range l.commands {
				if l.commands[j].name == args[i] {
					cmd, named = &l.commands[j], true
					args = slices.Delete(slices.Clone(args), i, i+1)
					break
				}
			}
			if !named {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "there is no command %q", args[i])
			}
			break
		}
		name, _, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if o := find(name); o != nil && !joined && !o.isBool() {
			i++ // its value
		}
	}
	opts := append(options(l.global, l.vars), options(cmd.flags, l.vars)...)
	for i := range opts {
		text := opts[i].def
		if e, ok := os.LookupEnv(opts[i].env); ok && opts[i].env != "" && e != "" {
			text = e
		}
		if text == "" {
			continue
		}
		if err := opts[i].set(text, false); err != nil {
			return nil, err
		}
	}
	find = finder(opts)
	given := make(map[string]bool)
	for i := 0; i < len(args); i++ {
		name, text, joined := strings.Cut(args[i], "=")
		if name == "-h" || name == "--help" {
			if !named {
				return nil, errHelp{}
			}
			return nil, errHelp{cmd}
		}
		name, dashed := strings.CutPrefix(name, "--")
		o := find(name)
		switch {
		case !dashed:
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "unexpected argument %q", args[i])
		case o == nil:
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "unknown flag --%s", name)
		case !joined && o.isBool():
			text = "true"
		case !joined && i+1 == len(args):
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "--%s: its value is missing", name)
		case !joined:
			i++
			text = args[i]
		}
		if err := o.set(text, given[name]); err != nil {
			return nil, err
		}
		given[name] = true
	}
	return cmd, nil
}

func (l *commandLine) finder(commands ...command) func(string) *option {
	opts := options(l.global, l.vars)
	for _, c := range commands {
		opts = append(opts, options(c.flags, l.vars)...)
	}
	return finder(opts)
}

func finder(opts []option) func(string) *option {
	return func(name string) *option {
		for i := range opts {
			if opts[i].name == name {
				return &opts[i]
			}
		}
		return nil
	}
}

// help prints the page of a command; the program's own goes on with that of the first
// command, which is what no command stands for.
func (l *commandLine) help(w io.Writer, of *command) {
	var b strings.Builder
	if of == nil {
		b.WriteString("Usage: coldkeep-agent [command] [flags]\n\n" + wrap(l.about, 0) + "\nFlags:\n")
		flags(&b, options(l.global, l.vars))
		b.WriteString("\nCommands:\n")
		for i := range l.commands {
			fmt.Fprintf(&b, "  %s\n%s", l.commands[i].name, wrap("    "+l.commands[i].help, 4))
		}
		b.WriteString("\n")
		of = &l.commands[0]
	}
	fmt.Fprintf(&b, "Usage: coldkeep-agent %s [flags]\n\n%s\nFlags:\n", of.name, wrap(of.help, 0))
	flags(&b, append(options(l.global, l.vars), options(of.flags, l.vars)...))
	_, _ = io.WriteString(w, b.String()) // nowhere else to tell
}

func flags(b *strings.Builder, opts []option) {
	for i := range opts {
		o := &opts[i]
		head := "--" + o.name
		switch {
		case o.isBool():
		case o.placeholder != "":
			head += "=" + o.placeholder
		case o.def != "":
			head += "=" + o.def
		default:
			head += "=…"
		}
		text := o.help
		if o.env != "" {
			text += " ($" + o.env + ")"
		}
		fmt.Fprintf(b, "  %s\n%s", head, wrap("        "+text, 8))
	}
}

// wrap breaks a text into lines of at most 80, those after the first indented.
func wrap(text string, indent int) string {
	const wide = 80
	var b strings.Builder
	lead := len(text) - len(strings.TrimLeft(text, " "))
	b.WriteString(text[:lead])
	at := lead
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > wide:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	b.WriteByte('\n')
	return b.String()
}
