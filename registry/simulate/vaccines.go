package simulate

import "github.com/coldkeep/coldkeep"

// product is a vaccine as it is bought. CVX, MVX and NDC are CDC's codes; an NDC that is
// not known here is "".
type product struct {
	cvx, mvx, ndc string
	amount        string
	route         string // HL7 table 0162
	from, to      int    // years in which it was given, both included; to 0: still
	protects      []antigen
}

// antigen is what the simulation counts doses of.
type antigen uint8

const (
	hepB antigen = iota
	dtap
	polio
	hib
	pcv
	rota
	mmr
	varicella
	hepA
	tdap
	menACWY
	hpv
	menB
	flu
	covid
	zoster
	rsv
	antigens // how many there are
)

// products by what they are first of all given for. A practice buys mostly from one of
// three makers; the first product of a line that existed in the year is taken.
var products = map[antigen][]product{
	hepB: {
		{"08", "SKB", "58160-0820-52", "0.5", "IM", 1991, 0, []antigen{hepB}},
		{"08", "MSD", "00006-4093-02", "0.5", "IM", 1991, 0, []antigen{hepB}},
	},
	dtap: {
		{"110", "SKB", "58160-0811-52", "0.5", "IM", 2003, 0, []antigen{dtap, polio, hepB}},
		{"120", "PMC", "49281-0511-05", "0.5", "IM", 2008, 0, []antigen{dtap, polio, hib}},
		{"146", "MSP", "63361-0243-15", "0.5", "IM", 2021, 0, []antigen{dtap, polio, hib, hepB}},
		{"20", "SKB", "58160-0810-52", "0.5", "IM", 1997, 0, []antigen{dtap}},
		{"106", "PMC", "49281-0286-10", "0.5", "IM", 2002, 0, []antigen{dtap}},
		{"01", "PMC", "", "0.5", "IM", 1950, 1997, []antigen{dtap}},
	},
	polio: {
		{"10", "PMC", "49281-0860-10", "0.5", "IM", 1997, 0, []antigen{polio}},
		{"02", "WAL", "", "0.5", "PO", 1963, 1999, []antigen{polio}},
	},
	hib: {
		{"49", "MSD", "00006-4897-00", "0.5", "IM", 1990, 0, []antigen{hib}},
		{"48", "PMC", "49281-0545-03", "0.5", "IM", 1993, 0, []antigen{hib}},
	},
	pcv: {
		{"216", "PFR", "00005-2000-10", "0.5", "IM", 2023, 0, []antigen{pcv}},
		{"215", "MSD", "00006-4329-03", "0.5", "IM", 2022, 0, []antigen{pcv}},
		{"133", "PFR", "00005-1971-02", "0.5", "IM", 2010, 2024, []antigen{pcv}},
		{"100", "WAL", "", "0.5", "IM", 2000, 2010, []antigen{pcv}},
	},
	rota: {
		{"116", "MSD", "00006-4047-41", "2", "PO", 2006, 0, []antigen{rota}},
		{"119", "SKB", "58160-0854-52", "1", "PO", 2008, 0, []antigen{rota}},
	},
	mmr: {
		{"03", "MSD", "00006-4681-00", "0.5", "SC", 1979, 0, []antigen{mmr}},
		{"94", "MSD", "00006-4171-00", "0.5", "SC", 2005, 0, []antigen{mmr, varicella}},
	},
	varicella: {{"21", "MSD", "00006-4827-00", "0.5", "SC", 1995, 0, []antigen{varicella}}},
	hepA: {
		{"83", "SKB", "58160-0825-52", "0.5", "IM", 2006, 0, []antigen{hepA}},
		{"83", "MSD", "00006-4095-02", "0.5", "IM", 2006, 0, []antigen{hepA}},
	},
	tdap: {
		{"115", "SKB", "58160-0842-52", "0.5", "IM", 2005, 0, []antigen{tdap}},
		{"115", "PMC", "49281-0400-10", "0.5", "IM", 2005, 0, []antigen{tdap}},
		{"113", "PMC", "49281-0215-10", "0.5", "IM", 2004, 0, []antigen{tdap}},
		{"09", "PMC", "", "0.5", "IM", 1960, 2005, []antigen{tdap}},
	},
	menACWY: {
		{"203", "PMC", "49281-0590-05", "0.5", "IM", 2021, 0, []antigen{menACWY}},
		{"136", "SKB", "58160-0955-09", "0.5", "IM", 2010, 0, []antigen{menACWY}},
		{"114", "PMC", "49281-0589-05", "0.5", "IM", 2005, 2021, []antigen{menACWY}},
	},
	hpv: {
		{"165", "MSD", "00006-4119-03", "0.5", "IM", 2015, 0, []antigen{hpv}},
		{"62", "MSD", "00006-4045-41", "0.5", "IM", 2007, 2016, []antigen{hpv}},
	},
	menB: {
		{"163", "SKB", "58160-0976-20", "0.5", "IM", 2015, 0, []antigen{menB}},
		{"162", "PFR", "00005-0100-10", "0.5", "IM", 2015, 0, []antigen{menB}},
	},
	flu: {
		{"150", "PMC", "", "0.5", "IM", 2014, 2023, []antigen{flu}},
		{"140", "SKB", "", "0.5", "IM", 2024, 0, []antigen{flu}},
		{"141", "PMC", "", "0.5", "IM", 1990, 2013, []antigen{flu}},
		{"140", "PMC", "", "0.5", "IM", 2005, 2013, []antigen{flu}},
	},
	covid: {
		{"208", "PFR", "59267-1000-01", "0.3", "IM", 2020, 2022, []antigen{covid}},
		{"207", "MOD", "80777-0273-10", "0.5", "IM", 2020, 2022, []antigen{covid}},
		{"300", "PFR", "", "0.3", "IM", 2022, 2023, []antigen{covid}},
		{"309", "PFR", "", "0.3", "IM", 2023, 0, []antigen{covid}},
		{"312", "MOD", "", "0.5", "IM", 2023, 0, []antigen{covid}},
	},
	zoster: {
		{"187", "SKB", "58160-0823-11", "0.5", "IM", 2018, 0, []antigen{zoster}},
		{"121", "MSD", "00006-4963-41", "0.65", "SC", 2007, 2018, []antigen{zoster}},
	},
	rsv: {
		{"305", "PFR", "", "0.5", "IM", 2023, 0, []antigen{rsv}},
		{"303", "SKB", "", "0.5", "IM", 2023, 0, []antigen{rsv}},
	},
}

// special products that a rule of age chooses.
var (
	fluHighDose = product{"197", "PMC", "", "0.7", "IM", 2020, 2023, []antigen{flu}}
	fluHighTri  = product{"135", "PMC", "", "0.5", "IM", 2010, 0, []antigen{flu}}
	fluNasal    = product{"149", "MED", "", "0.2", "NS", 2013, 2023, []antigen{flu}}
	kinrix      = product{"130", "SKB", "58160-0812-52", "0.5", "IM", 2008, 0, []antigen{dtap, polio}}
	covidChild  = product{"218", "PFR", "", "0.2", "IM", 2021, 2022, []antigen{covid}}
	covidChild2 = product{"310", "PFR", "", "0.3", "IM", 2023, 0, []antigen{covid}}
	ppsv        = product{"33", "MSD", "00006-4943-00", "0.5", "IM", 1983, 0, []antigen{pcv}}
)

// sheets are the Vaccine Information Statements of the doses since the editions of
// 6 August 2021, which most vaccines have had in common.
var sheets = [antigens]string{hepB: "Hepatitis B", dtap: "DTaP", polio: "Polio", hib: "Hib", pcv: "Pneumococcal Conjugate", rota: "Rotavirus", mmr: "MMR", varicella: "Varicella",
	hepA: "Hepatitis A", tdap: "Tdap", menACWY: "Meningococcal ACWY", hpv: "HPV", menB: "Meningococcal B", flu: "Influenza (inactivated)", zoster: "Recombinant Zoster"}

var sheetEdition = coldkeep.CivilDate(2021, 8, 6)

// offer chooses a product of an antigen in a year from a practice's line; false when
// there was none.
func offer(of antigen, year, line int) (*product, bool) {
	list := products[of]
	var fit [8]*product
	n := 0
	for i := range list {
		if list[i].from <= year && (list[i].to == 0 || year <= list[i].to) && n < len(fit) {
			fit[n] = &list[i]
			n++
		}
	}
	if n == 0 {
		return nil, false
	}
	return fit[line%min(n, 3)], true
}
