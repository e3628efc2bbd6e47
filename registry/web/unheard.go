package web

import (
	"context"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// unheardSite is a site whose alarms nobody is told about.
type unheardSite struct {
	Site coldkeep.Site
	Why  string
}

// The channels that a policy's addresses go by, as the collector names them.
const (
	channelEmail   = "email"
	channelWebhook = "webhook"
)

// channels asks the collector by what alerts can be told. A collector that is away, or
// cannot say, is nil: all of them, so that nobody is alarmed about what is not known.
func (s *server) channels(ctx context.Context) []string {
	if s.Channels == nil {
		return nil
	}
	names, err := ask(ctx, &s.lost, s.Channels.Channels)
	if err != nil {
		return nil
	}
	return append([]string{}, names...)
}

// unheard says why nobody is told by a policy, "" when somebody is.
func unheard(o coldkeep.OnCall, channels []string) string {
	has := func(name string) bool { return channels == nil || slices.Contains(channels, name) }
	var missing []string
	switch {
	case len(o.Emails)+len(o.Webhooks) == 0:
		return "nobody is on call"
	case len(o.Emails) > 0 && has(channelEmail), len(o.Webhooks) > 0 && has(channelWebhook):
		return ""
	}
	if len(o.Emails) > 0 {
		missing = append(missing, "no mail server is set up")
	}
	if len(o.Webhooks) > 0 {
		missing = append(missing, "webhooks are not set up")
	}
	return strings.Join(missing, ", and ")
}

// unheardSites lists the sites with a unit in service whose alarms nobody is told about.
func (s *server) unheardSites(ctx context.Context, who auth.Principal, sites []coldkeep.Site, units []templog.Unit) ([]unheardSite, error) {
	calls, err := s.Templog.OnCalls(ctx, who)
	if err != nil {
		return nil, err
	}
	var out []unheardSite
	var names []string
	asked := false
	for _, site := range sites {
		if !slices.ContainsFunc(units, func(u templog.Unit) bool { return u.Site == site.ID && u.InService }) {
			continue
		}
		if !asked {
			names, asked = s.channels(ctx), true
		}
		if why := unheard(calls[site.ID], names); why != "" {
			out = append(out, unheardSite{site, why})
		}
	}
	return out, nil
}
