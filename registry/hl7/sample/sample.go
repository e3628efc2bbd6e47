// Package sample is a file of HL7 messages about invented people, for trying out the ways in
// and for EHR vendors to look at. docs/hl7.md tells what is answered to each.
package sample

import (
	"fmt"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Messages are the messages of the file, as of a day: a child with a historical and a given
// dose, its mother's refusal of another, a query for it, and an update with a vaccine code
// that there is not. facility is MSH-4 and the practice's name in the messages.
func Messages(now time.Time, facility string) []string {
	today := coldkeep.DateOf(now)
	day := func(before int) string { return strings.ReplaceAll((today - coldkeep.Date(before)).String(), "-", "") }
	stamp := now.UTC().Format("20060102150405") + "+0000"
	msh := func(n int, kind, profile string) string {
		return fmt.Sprintf(`MSH|^~\&|SAMPLE EHR|%s|COLDKEEP|IIS|%s||%s|SAMPLE-%s-%d|P|2.5.1|||ER|AL|||||%s^CDCPHINVS`, facility, stamp, kind, day(0), n, profile)
	}
	child := "PID|1||S-1001^^^" + facility + "^MR||Sampleton^Iris^June^^^^L|Beispiel^Anna^^^^^M|" + day(430) + "|F||2106-3^White^CDCREC|12 Willow Ct^^Cairo^IL^62914^USA^H||^PRN^PH^^1^618^5550177|||||||||2186-5^Not Hispanic or Latino^CDCREC"
	mother := "NK1|1|Sampleton^Anna^^^^^L|MTH^Mother^HL70063|12 Willow Ct^^Cairo^IL^62914^USA^H|^PRN^PH^^1^618^5550177"
	sheet := func(group int, code, name string) []string {
		return []string{
			fmt.Sprintf("OBX|1|CE|64994-7^Vaccine funding program eligibility category^LN|%d|V02^VFC eligible - Medicaid/Medicaid Managed Care^HL70064||||||F|||%s|||VXC40^Eligibility captured at the immunization level^CDCPHINVS", group, day(1)),
			fmt.Sprintf("OBX|2|CE|30956-7^Vaccine type^LN|%d|%s^%s^CVX||||||F", group+1, code, name),
			fmt.Sprintf("OBX|3|TS|29768-9^Date vaccine information statement published^LN|%d|20241015||||||F", group+1),
			fmt.Sprintf("OBX|4|TS|29769-7^Date vaccine information statement presented^LN|%d|%s||||||F", group+1, day(1)),
		}
	}
	join := func(lines ...string) string { return strings.Join(lines, "\r") + "\r" }
	given := append([]string{
		msh(1, "VXU^V04^VXU_V04", "Z22"), child, "PD1|||||||||||02^Reminder/Recall - any method^HL70215|N|" + day(430) + "|||A|" + day(430) + "|" + day(430), mother,
		"ORC|RE||SAMPLE-D1^" + facility,
		"RXA|0|1|" + day(365) + "||08^Hep B, adolescent or pediatric^CVX|999|||01^Historical information - source unspecified^NIP001|||||||||||CP|A",
		"ORC|RE||SAMPLE-D2^" + facility + "|||||||7824^Bell^Marcus^^^^^^" + facility + "^L||1922^Kim^Ada^^^^^^" + facility + "^L",
		"RXA|0|1|" + day(1) + "||03^MMR^CVX|0.5|mL^milliliter^UCUM||00^New immunization record^NIP001|7824^Bell^Marcus^^^^^^" + facility + "^L|^^^" + facility + "||||SAMPLE-LOT|20310630|MSD^Merck and Co., Inc.^MVX|||CP|A",
		"RXR|C38299^Subcutaneous^NCIT|LT^Left thigh^HL70163",
	}, sheet(1, "03", "MMR")...)
	refused := []string{
		msh(2, "VXU^V04^VXU_V04", "Z22"), child, mother,
		"ORC|RE||9999^" + facility,
		"RXA|0|1|" + day(1) + "||21^varicella^CVX|999||||||||||||00^Parental decision^NIP002||RE|A",
	}
	asked := []string{
		msh(3, "QBP^Q11^QBP_Q11", "Z44"),
		"QPD|Z44^Request Evaluated History and Forecast^CDCPHINVS|SAMPLE-Q1|S-1001^^^" + facility + "^MR|Sampleton^Iris^June^^^^L|Beispiel^Anna^^^^^M|" + day(430) + "|F|12 Willow Ct^^Cairo^IL^62914^USA^H|^PRN^PH^^1^618^5550177",
		"RCP|I|5^RD&Records&HL70126",
	}
	wrong := []string{
		msh(4, "VXU^V04^VXU_V04", "Z22"),
		"PID|1||S-1002^^^" + facility + "^MR||Sampleton^Otto^^^^^L||" + day(2000) + "|M",
		"ORC|RE||SAMPLE-D3^" + facility,
		"RXA|0|1|" + day(300) + "||0000^No such vaccine^CVX|999|||01^Historical information - source unspecified^NIP001|||||||||||CP|A",
	}
	return []string{join(given...), join(refused...), join(asked...), join(wrong...)}
}

// File is the updates among the messages in a batch, as a person may upload it.
func File(now time.Time, facility string) []byte {
	all := Messages(now, facility)
	stamp := now.UTC().Format("20060102150405") + "+0000"
	var b strings.Builder
	fmt.Fprintf(&b, "FHS|^~\\&|SAMPLE EHR|%[1]s|COLDKEEP|IIS|%[2]s\rBHS|^~\\&|SAMPLE EHR|%[1]s|COLDKEEP|IIS|%[2]s\r", facility, stamp)
	n := 0
	for _, m := range all {
		if strings.Contains(m, "|VXU^") {
			b.WriteString(m)
			n++
		}
	}
	fmt.Fprintf(&b, "BTS|%d\rFTS|1\r", n)
	return []byte(b.String())
}
