package max31865

import "math"

// The coefficients of Callendar and Van Dusen for industrial platinum (IEC 60751,
// section 4.2).
const (
	cvdA = 3.9083e-3
	cvdB = -5.775e-7
	cvdC = -4.183e-12
)

// Resistance gives the resistance of platinum at t °C as a multiple of that at
// 0 °C: 1 + A·t + B·t², and below 0 °C also + C·(t-100)·t³.
func Resistance(t float64) float64 {
	r := 1 + cvdA*t + cvdB*t*t
	if t < 0 {
		r += cvdC * (t - 100) * t * t * t
	}
	return r
}

// Celsius is the inverse of Resistance. Above 0 °C the equation is quadratic; below
// it the quadratic's root is less than 2.5 °C away, and Newton's method, whose
// error is squared by each step, ends far below a thousandth of a degree after
// four.
func Celsius(r float64) float64 {
	t := (-cvdA + math.Sqrt(cvdA*cvdA-4*cvdB*(1-r))) / (2 * cvdB)
	if r >= 1 {
		return t
	}
	for range 4 {
		slope := cvdA + 2*cvdB*t + cvdC*(4*t-300)*t*t
		t -= (Resistance(t) - r) / slope
	}
	return t
}
