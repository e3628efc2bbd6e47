package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// static holds our own style and scripts. The build puts the libraries that
// assets/package.json names into static/vendor; without them the pages work all
// the same.
//
//go:embed static
var staticFiles embed.FS

// assets serves the files of static under names that change with their content.
type assets struct {
	files map[string]asset
}

type asset struct {
	body []byte
	kind string
	hash string
}

func newAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		kind := mime.TypeByExtension(path.Ext(name))
		switch path.Ext(name) { // machines differ in what they know
		case ".js":
			kind = "text/javascript; charset=utf-8"
		case ".css":
			kind = "text/css; charset=utf-8"
		case ".svg":
			kind = "image/svg+xml"
		}
		sum := sha256.Sum256(body)
		a.files[strings.TrimPrefix(name, "static/")] = asset{body, kind, hex.EncodeToString(sum[:6])}
		return nil
	})
	return a, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.newAssets", "static files")
}

// url is the address of a file, with its content's hash.
func (a *assets) url(name string) string { return "/static/" + name + "?v=" + a.files[name].hash }

// has reports whether the build has put a file there.
func (a *assets) has(name string) bool {
	_, ok := a.files[name]
	return ok
}

func (a *assets) serve(c *gin.Context) {
	f, ok := a.files[strings.TrimPrefix(c.Param("path"), "/")]
	if !ok {
		c.String(http.StatusNotFound, "There is no such file.")
		return
	}
	if c.Query("v") == f.hash {
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		c.Header("Cache-Control", "no-cache")
	}
	c.Header("ETag", `"`+f.hash+`"`)
	if c.GetHeader("If-None-Match") == `"`+f.hash+`"` {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, f.kind, f.body)
}
