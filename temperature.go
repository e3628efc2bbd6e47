package coldkeep

import (
	"fmt"
	"math"
	"strconv"
)

// Temperature is a temperature in integer thousandths of a degree Celsius, the
// only form in which Coldkeep stores or compares one.
type Temperature int32

// NoTemperature marks an absent temperature: a probe that failed, an optional
// field that was not sent. It never takes part in a comparison or an extreme.
const NoTemperature Temperature = math.MinInt32

// Known reports whether t holds a temperature.
func (t Temperature) Known() bool { return t != NoTemperature }

// FromCelsius rounds c, in °C, to the nearest thousandth, halves away from zero.
// NaN, infinities and values beyond the range of Temperature give NoTemperature.
func FromCelsius(c float64) Temperature {
	m := math.Round(c * 1000)
	if math.IsNaN(m) || m <= math.MinInt32 || m > math.MaxInt32 {
		return NoTemperature
	}
	return Temperature(m)
}

// Celsius returns t in °C, and NaN when t is absent.
func (t Temperature) Celsius() float64 {
	if !t.Known() {
		return math.NaN()
	}
	return float64(t) / 1000
}

// String gives t in °C with as many decimals as it needs ("4.312", "-15"), and
// "" when t is absent.
func (t Temperature) String() string { return string(t.AppendText(nil)) }

// AppendText appends the form that String returns.
func (t Temperature) AppendText(b []byte) []byte {
	if !t.Known() {
		return b
	}
	m := int64(t)
	if m < 0 {
		b = append(b, '-')
		m = -m
	}
	b = strconv.AppendInt(b, m/1000, 10)
	if f := m % 1000; f != 0 {
		b = append(b, '.', byte('0'+f/100))
		if f%100 != 0 {
			b = append(b, byte('0'+f/10%10))
		}
		if f%10 != 0 {
			b = append(b, byte('0'+f%10))
		}
	}
	return b
}

// ParseTemperature reads decimal degrees Celsius such as "4.312" or "-15". More
// than three decimals are rounded. Empty text, words, NaN and infinities are
// EINVALID.
func ParseTemperature(s string) (Temperature, error) {
	c, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(c) || math.IsInf(c, 0) {
		return NoTemperature, Errorf(EINVALID, "%q is not a temperature in °C", s)
	}
	t := FromCelsius(c)
	if !t.Known() {
		return NoTemperature, Errorf(EINVALID, "temperature %q is out of all range", s)
	}
	return t, nil
}

// MarshalJSON writes degrees Celsius as a number, null when absent.
func (t Temperature) MarshalJSON() ([]byte, error) {
	if !t.Known() {
		return []byte("null"), nil
	}
	return t.AppendText(nil), nil
}

// UnmarshalJSON reads a number of degrees Celsius; null is absent. Anything else
// is EINVALID.
func (t *Temperature) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = NoTemperature
		return nil
	}
	v, err := ParseTemperature(string(b))
	if err != nil {
		return err
	}
	*t = v
	return nil
}

// Scale is the unit in which a rule was published.
type Scale byte

// The two scales that programmes publish thresholds in.
const (
	ScaleCelsius    Scale = 'C'
	ScaleFahrenheit Scale = 'F'
)

// Threshold is a temperature limit in the unit it was published in. It is never
// converted: 46 °F is 7.777… °C, and rounding that first would move the line.
type Threshold struct {
	Milli int64 // thousandths of a degree of Scale
	Scale Scale
}

// Compare returns -1, 0 or +1 as t is below, at or above the threshold, exactly:
// with m in thousandths, a Fahrenheit limit f is met when 9·m°C + 160,000 = 5·m°F.
func (th Threshold) Compare(t Temperature) int {
	a, b := int64(t), th.Milli
	if th.Scale == ScaleFahrenheit {
		a, b = 9*a+160_000, 5*b
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Celsius gives the threshold in °C for drawing a line; never for judging.
func (th Threshold) Celsius() float64 {
	v := float64(th.Milli) / 1000
	if th.Scale == ScaleFahrenheit {
		return (v - 32) * 5 / 9
	}
	return v
}

// String gives the threshold as published, such as "8 °C" or "46 °F".
func (th Threshold) String() string {
	return strconv.FormatFloat(float64(th.Milli)/1000, 'f', -1, 64) + " °" + string(rune(th.Scale))
}

// MarshalText writes the published form without the degree sign: "8C", "46F".
func (th Threshold) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s%c", strconv.FormatFloat(float64(th.Milli)/1000, 'f', -1, 64), th.Scale), nil
}

// UnmarshalText reads "8C", "-15C" or "46F". Anything else is EINVALID.
func (th *Threshold) UnmarshalText(b []byte) error {
	bad := Errorf(EINVALID, "%q is not a threshold such as \"8C\" or \"46F\"", b)
	if len(b) < 2 {
		return bad
	}
	scale := Scale(b[len(b)-1])
	if scale != ScaleCelsius && scale != ScaleFahrenheit {
		return bad
	}
	v, err := strconv.ParseFloat(string(b[:len(b)-1]), 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > 1000 {
		return bad
	}
	*th = Threshold{Milli: int64(math.Round(v * 1000)), Scale: scale}
	return nil
}
