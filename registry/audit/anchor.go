package audit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Anchor writes heads in one word, such as "0:17:6b86…,1:9:d473…", as the registry says them
// in its log from time to time: a log stands elsewhere than the tables.
func Anchor(heads []Head) string {
	words := make([]string, len(heads))
	for i, h := range heads {
		words[i] = fmt.Sprintf("%d:%d:%s", h.Lane, h.Seq, h.Hash)
	}
	return strings.Join(words, ",")
}

// anchorIn finds an anchor in a line of a log, as text or as JSON.
var anchorIn = regexp.MustCompile(`"?\banchor"?[=:]"?((?:[0-9]+:[0-9]+:[0-9a-f]*,?)+)`)

// AnchorIn gives the heads that a line of the registry's log says; none when it says none.
func AnchorIn(line string) []Head {
	m := anchorIn.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	var out []Head
	for word := range strings.SplitSeq(strings.Trim(m[1], ","), ",") {
		lane, rest, _ := strings.Cut(word, ":")
		seq, hash, _ := strings.Cut(rest, ":")
		h := Head{Hash: hash}
		var err error
		if h.Lane, err = strconv.Atoi(lane); err != nil {
			return nil
		}
		if h.Seq, err = strconv.ParseInt(seq, 10, 64); err != nil {
			return nil
		}
		out = append(out, h)
	}
	return out
}
