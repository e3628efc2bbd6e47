package patient

// personal are the kinds of identifiers of which a person has one: a birth certificate's
// number, Medicaid's, the state registry's, a national one.
func personal(kind string) bool { return kind == "BR" || kind == "MA" || kind == "SR" || kind == "NI" }

// compareIDs finds a number the two share, or one kind of one authority with two values.
// Another medical record number speaks little against one person: double charts are what
// duplicates are made of.
func compareIDs(as, bs []IDKey) (level uint8) {
	for _, a := range as {
		for _, b := range bs {
			if a.Kind != b.Kind || a.Assigner != b.Assigner || a.Value == "" || b.Value == "" {
				continue
			}
			switch {
			case a.Value == b.Value:
				return same
			case personal(a.Kind):
				level = idDifferent
			case level == 0:
				level = idOtherRecord
			}
		}
	}
	return level
}

func comparePhones(as, bs []string) (level uint8) {
	for _, a := range as {
		for _, b := range bs {
			switch {
			case a == b:
				return same
			case apart(a, b, 1) == 1:
				level = phoneTypo
			case level == 0:
				level = phoneDifferent
			}
		}
	}
	return level
}

func compareTexts(as, bs []string, different uint8) (level uint8) {
	for _, a := range as {
		for _, b := range bs {
			if a == b {
				return same
			}
			level = different
		}
	}
	return level
}

func compareAddresses(as, bs []AddressKey) (level uint8) {
	for i := range as {
		for j := range bs {
			a, b := &as[i], &bs[j]
			switch {
			case a.ZIP != "" && a.ZIP == b.ZIP && (a.House != "" && a.House == b.House && firstLetters(a.Street, b.Street) || a.Street == b.Street):
				return same
			case a.ZIP != "" && a.ZIP == b.ZIP:
				level = addressZIP
			case level == 0:
				level = addressDifferent
			}
		}
	}
	return level
}

// firstLetters reports whether the first words that are no numbers begin alike: "12 N Elm
// Street" and "12 Elm St" are one address, "12 Oak St" is another.
func firstLetters(a, b string) bool {
	x, y := streetWord(a), streetWord(b)
	return x == y || typo(x, y)
}

// streetWord is the first word of a folded street line that names the street: no number
// and no point of the compass.
func streetWord(s string) string {
	for len(s) > 0 {
		end := 0
		for end < len(s) && s[end] != ' ' {
			end++
		}
		word := s[:end]
		if end < len(s) {
			s = s[end+1:]
		} else {
			s = ""
		}
		switch word {
		case "N", "S", "E", "W", "NE", "NW", "SE", "SW", "NORTH", "SOUTH", "EAST", "WEST":
			if s != "" {
				continue
			}
		}
		if word[0] < '0' || word[0] > '9' || s == "" {
			return word
		}
	}
	return ""
}

func compareMothers(a, b string) uint8 {
	switch {
	case a == "" || b == "":
		return 0
	case squash2(a, b):
		return same
	case typo(a, b) || hasPart(a, b) || soundsLike(a, b):
		return motherAlike
	}
	return motherDifferent
}

func compareGuardians(as, bs []NameKey) (level uint8) {
	for i := range as {
		for j := range bs {
			a, b := &as[i], &bs[j]
			if placeholder(a.Given) || placeholder(b.Given) {
				continue
			}
			given := squash2(a.Given, b.Given) || sameCalled(a.Given, b.Given) || typo(a.Given, b.Given)
			switch family := compareFamily(a.Family, b.Family); {
			case given && family != familyDifferent && family != familySound && family != 0:
				return same
			case given:
				level = guardianGiven
			case level == 0:
				level = guardianDifferent
			}
		}
	}
	return level
}

// multiple compares birth orders, and knows twins by what they share and what they do not:
// family name and birth date, and not the given name.
func (c *Comparison) multiple(a, b *Profile) uint8 {
	if a.Order > 0 && b.Order > 0 {
		if a.Order == b.Order {
			return same
		}
		return multipleOther
	}
	family := c.level[fieldFamily]
	if c.level[fieldBirth] == same && c.level[fieldGiven] == givenDifferent && family != 0 && family <= familyPart {
		return multipleTwins
	}
	return 0
}
