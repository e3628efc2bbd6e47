// Package backup writes the databases of the centre to one file and reads them back, also
// from one engine to the other.
//
// The file is gzip of lines of JSON. An object opens a part, an array is a row:
//
//	{"coldkeep":"backup","format":1,"made_at":"2026-03-01T12:00:00Z"}
//	{"database":"registry","versions":{"registry":9}}
//	{"table":"sites","columns":["id","name"],"kinds":["text","text"],"rows":1}
//	["lakeside","Lakeside"]
//	{"end":"sites","rows":1}
//	{"sha256":"…","rows":1}
//
// The last line is the checksum of all lines before it. Rows are a snapshot that was taken
// at one moment while the centre went on. versions are those of the tables, so that a
// backup of an earlier release is restored as that release left it and then brought up to
// date.
package backup

import (
	"io/fs"

	"github.com/coldkeep/coldkeep/internal/database"
)

// format is the version of the file's form. A reader refuses later ones.
const format = 1

// Part is one database.
type Part struct {
	Name string // in the file, such as "registry"
	DB   *database.DB
}

// Components are the migrations of every component that the databases may hold, by name.
type Components map[string]fs.FS

// Summary is what was written or read.
type Summary struct {
	Databases []string `json:"databases"`
	Tables    int      `json:"tables"`
	Rows      int64    `json:"rows"`
	SHA256    string   `json:"sha256"`
}

// kind is how a column's values are kept in the file.
type kind string

const (
	kindText    kind = "text"
	kindInteger kind = "integer"
	kindReal    kind = "real"
	kindBytes   kind = "bytes"
)

// line is any line of the file that is an object.
type line struct {
	Coldkeep string           `json:"coldkeep,omitempty"`
	Format   int              `json:"format,omitempty"`
	MadeAt   string           `json:"made_at,omitempty"`
	Database string           `json:"database,omitempty"`
	Versions map[string]int64 `json:"versions,omitempty"`
	Table    string           `json:"table,omitempty"`
	Columns  []string         `json:"columns,omitempty"`
	Kinds    []kind           `json:"kinds,omitempty"`
	Rows     *int64           `json:"rows,omitempty"`
	End      string           `json:"end,omitempty"`
	SHA256   string           `json:"sha256,omitempty"`
}
