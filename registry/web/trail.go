package web

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// trailRows is how much of the trail one page shows.
const trailRows = 300

// trailRow is an entry with what it is about in words.
type trailRow struct {
	audit.Entry
	About string
	Href  string
}

func (s *server) trail(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	if err := who.Require(auth.ReadTrail, who.Site); err != nil {
		s.fail(c, err)
		return
	}
	entries, err := s.Trail.Trail(ctx, who.Site, trailRows)
	if err != nil {
		s.fail(c, err)
		return
	}
	names, err := s.names(ctx, who, entries)
	if err != nil {
		s.fail(c, err)
		return
	}
	rows := make([]trailRow, len(entries))
	for i, e := range entries {
		rows[i] = names.row(e)
	}
	s.render(c, http.StatusOK, "trail", &page{Title: "Audit trail", Nav: "trail", Data: rows})
}

// named is a thing as people call it, and the page of it.
type named struct{ name, href string }

// names are the things that a trail speaks of, by "kind/id".
type names map[string]named

// names looks up what the things that entries speak of are called now. The trail itself
// keeps ids, which do not change. Pages are named to who may open them.
func (s *server) names(ctx context.Context, who auth.Principal, entries []audit.Entry) (names, error) {
	n := names{}
	sites, err := s.Auth.Sites(ctx, who)
	if err != nil {
		return nil, err
	}
	for _, x := range sites {
		n["site/"+string(x.ID)] = named{x.Name, ""}
	}
	var subjects []string
	for i := range entries {
		e := &entries[i]
		subjects = append(subjects, e.Subject)
		for _, m := range holdID.FindAllStringSubmatch(e.Detail, -1) {
			subjects = append(subjects, "hold/"+m[1])
		}
		for _, m := range intoUnit.FindAllStringSubmatch(e.Detail, -1) {
			subjects = append(subjects, "unit/"+m[2])
		}
	}
	known, err := s.Review.Names(ctx, who, subjects)
	if err != nil {
		return nil, err
	}
	pages := map[string]string{}
	if who.Anywhere(auth.View) {
		pages = map[string]string{"unit": "/units/", "lot": "/lots/", "hold": "/lots#held-"}
	}
	for subject, name := range known {
		kind, id, _ := strings.Cut(subject, "/")
		href := ""
		if page, ok := pages[kind]; ok {
			href = page + id
		}
		n[subject] = named{name, href}
	}
	return n, nil
}

// holdID is how a detail names a hold.
var holdID = regexp.MustCompile(`\bhold (\S+)`)

// intoUnit is how a detail names a unit.
var intoUnit = regexp.MustCompile(`\b(into|unit) ([a-z0-9-]+)`)

func (n names) row(e audit.Entry) trailRow {
	r := trailRow{Entry: e, About: e.Subject}
	kind, id, _ := strings.Cut(e.Subject, "/")
	if known, ok := n[e.Subject]; ok {
		r.About, r.Href = known.name, known.href
	} else if len(id) == ulidLength {
		r.About = strings.ToUpper(kind[:1]) + kind[1:] // a number that nobody can read says nothing more
	}
	r.Detail = holdID.ReplaceAllStringFunc(e.Detail, func(m string) string {
		if known, ok := n["hold/"+strings.TrimPrefix(m, "hold ")]; ok {
			return strings.ToLower(known.name[:1]) + known.name[1:]
		}
		return "a hold"
	})
	r.Detail = intoUnit.ReplaceAllStringFunc(r.Detail, func(m string) string {
		word, id, _ := strings.Cut(m, " ")
		if known, ok := n["unit/"+id]; ok {
			return word + " " + known.name
		}
		return m
	})
	return r
}

// ulidLength is how long the ids are that the registry makes.
const ulidLength = 26
