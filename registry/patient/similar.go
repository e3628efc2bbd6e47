package patient

import (
	_ "embed"
	"strings"
)

// apart is how many single typing errors lie between two texts: a letter left out, put in,
// put for another, or exchanged with its neighbour (optimal string alignment). It counts
// to most and gives most+1 for more. Texts longer than longest are compared for equality.
func apart(a, b string, most int) int {
	if a == b {
		return 0
	}
	const longest = 40
	if len(a) > longest || len(b) > longest || len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	var rows [3][longest + 1]int
	before, last, now := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			n := min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, before[j-2]+1)
			}
			now[j] = n
			least = min(least, n)
		}
		if least > most {
			return most + 1
		}
		before, last, now = last, now, before
	}
	return min(last[len(b)], most+1)
}

// typo reports whether two names are one but for a typing error: one in a name of four
// letters or more, two in one of eight or more; or one is the other cut off after at least
// four letters, as narrow fields do.
func typo(a, b string) bool {
	short, long := a, b
	if len(short) > len(long) {
		short, long = long, short
	}
	if len(short) < 4 {
		return len(short) == 3 && len(long) == 4 && apart(a, b, 1) <= 1
	}
	if strings.HasPrefix(long, short) {
		return true
	}
	most := 1
	if len(short) >= 8 {
		most = 2
	}
	return apart(a, b, most) <= most
}

// sound is how a name is spoken, roughly, in English and Spanish spelling: the first
// letter's sound and the consonants after it. Names that sound alike share it; it groups
// records for comparison and decides nothing alone.
func sound(name string) string {
	var buf [24]byte
	return string(appendSound(buf[:0], name))
}

func appendSound(out []byte, s string) []byte {
	at := func(i int) byte {
		if i >= 0 && i < len(s) {
			return s[i]
		}
		return 0
	}
	start := len(out)
	for i := 0; i < len(s) && len(out)-start < 8; i++ {
		c, next := s[i], at(i+1)
		first := len(out) == start
		var put byte
		switch c {
		case 'A', 'E', 'I', 'O', 'U', 'Y':
			if !first {
				continue
			}
			put = 'A'
		case 'B', 'V':
			put = 'B'
		case 'C':
			switch next {
			case 'H':
				put, i = 'J', i+1
			case 'K', 'Q':
				put, i = 'K', i+1
			case 'E', 'I', 'Y':
				put = 'S'
			default:
				put = 'K'
			}
		case 'D':
			if next == 'G' && at(i+2) == 'E' {
				put, i = 'J', i+1
				break
			}
			put = 'T'
		case 'G':
			switch {
			case next == 'H':
				i++
				if !first {
					continue // "Knight", "Vaughan"
				}
				put = 'K'
			case next == 'N' && (first || i+2 == len(s)):
				continue // "Gnadt", "Sign"
			case next == 'E' || next == 'I' || next == 'Y':
				put = 'J'
			default:
				put = 'K'
			}
		case 'H':
			if !first {
				continue
			}
			put = 'H'
		case 'J':
			put = 'J'
		case 'K':
			if first && next == 'N' {
				continue
			}
			put = 'K'
		case 'Q':
			put = 'K'
		case 'P':
			if next == 'H' {
				put, i = 'F', i+1
				break
			}
			if first && next == 'S' {
				continue
			}
			put = 'P'
		case 'S':
			switch {
			case next == 'C' && at(i+2) == 'H':
				put, i = 'S', i+2
			case next == 'H' || next == 'C' && (at(i+2) == 'E' || at(i+2) == 'I'):
				put, i = 'S', i+1
			default:
				put = 'S'
			}
		case 'T':
			if next == 'H' {
				i++
			}
			put = 'T'
		case 'W':
			if !first {
				continue
			}
			if next == 'R' {
				continue
			}
			put = 'W'
		case 'X':
			if first {
				put = 'S'
			} else {
				if len(out) == start || out[len(out)-1] != 'K' {
					out = append(out, 'K')
				}
				put = 'S'
			}
		case 'Z':
			put = 'S'
		default:
			put = c
		}
		if len(out) == start || out[len(out)-1] != put {
			out = append(out, put)
		}
	}
	return out
}

// nicknameTable has a line a name: the full form, then what its bearers are commonly
// called. One short form may stand on several lines.
//
//go:embed nicknames.txt
var nicknameTable string

// callNames gives the full forms that a given name may stand for, itself among them.
var callNames = readNicknames(nicknameTable)

func readNicknames(table string) map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(table) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(strings.ToUpper(line))
		if len(words) < 2 {
			continue
		}
		for _, w := range words {
			out[w] = appendNew(out[w], words[0])
		}
	}
	return out
}

// sameCalled reports whether two given names are forms of one: Bob and Robert, Beth and
// Liz.
func sameCalled(a, b string) bool {
	as, bs := callNames[a], callNames[b]
	for _, x := range as {
		for _, y := range bs {
			if x == y {
				return true
			}
		}
	}
	return false
}

// root is the form of a given name by which records are grouped: the full form when a
// short one stands for one name only.
func root(given string) string {
	first, _, _ := strings.Cut(given, " ")
	if full := callNames[first]; len(full) > 0 {
		return full[0]
	}
	return first
}

// placeholders stand where a given name was not known. They are no one's name and speak
// neither for nor against.
var placeholders = map[string]bool{
	"BABY": true, "BABYBOY": true, "BABYGIRL": true, "BABYA": true, "BABYB": true, "BABYC": true, "BOY": true, "GIRL": true, "BOYA": true, "BOYB": true,
	"GIRLA": true, "GIRLB": true, "INFANT": true, "INFANTBOY": true, "INFANTGIRL": true, "NEWBORN": true, "TWIN": true, "TWINA": true, "TWINB": true,
	"UNKNOWN": true, "UNNAMED": true, "NONAME": true, "NOFIRSTNAME": true, "UNK": true, "NA": true, "NONE": true, "TEST": true, "MALE": true, "FEMALE": true,
}

func placeholder(given string) bool { return given == "" || placeholders[squash(given)] }
