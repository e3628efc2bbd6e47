package vaccine

import "strings"

// NDC finds a package by its National Drug Code: 10 or 11 digits, with or without
// dashes. Ten digits without dashes stand for one of three forms (4-4-2, 5-3-2, 5-4-1);
// the first that is known is taken, in that order.
func (c *Codes) NDC(code string) (Package, bool) {
	for _, k := range NDCForms(code) {
		if p, ok := c.byNDC[k]; ok {
			return *p, true
		}
	}
	return Package{}, false
}

// GTIN finds a package by the number in its barcode: 14 digits, of which those of an
// American drug hold the ten digits of its NDC after "03".
func (c *Codes) GTIN(code string) (Package, bool) {
	if p, ok := c.byGTIN[code]; ok {
		return *p, true
	}
	if len(code) == 14 && code[1:3] == "03" {
		return c.NDC(code[3:13])
	}
	return Package{}, false
}

// NDCForms gives the 5-4-2 forms that an NDC may stand for, the likeliest first; none
// when it is not an NDC.
func NDCForms(code string) []string {
	code = strings.TrimSpace(code)
	if parts := strings.Split(code, "-"); len(parts) == 3 {
		if k := padded(parts[0], parts[1], parts[2]); k != "" {
			return []string{k}
		}
		return nil
	}
	if strings.Trim(code, "0123456789") != "" {
		return nil
	}
	switch len(code) {
	case 11:
		return []string{padded(code[:5], code[5:9], code[9:])}
	case 10:
		return []string{padded(code[:4], code[4:8], code[8:]), padded(code[:5], code[5:8], code[8:]), padded(code[:5], code[5:9], code[9:])}
	}
	return nil
}

// padded is the 5-4-2 form of a code's three parts, "" when they are no NDC.
func padded(labeler, product, pack string) string {
	if strings.Trim(labeler+product+pack, "0123456789") != "" {
		return ""
	}
	n := len(labeler) + len(product) + len(pack)
	if len(labeler) < 4 || len(labeler) > 5 || len(product) < 3 || len(product) > 4 || len(pack) < 1 || len(pack) > 2 || n < 10 {
		return ""
	}
	return strings.Repeat("0", 5-len(labeler)) + labeler + "-" + strings.Repeat("0", 4-len(product)) + product + "-" + strings.Repeat("0", 2-len(pack)) + pack
}
