package layout

// AutoFPS returns the smallest of 15, 20, 24, 25 and 30 frames per second that no visible source exceeds,
// and 30 when one does. sourceFPS are measured rates; a source counts as exceeding a rate when it is more
// than one per cent above, as sender clocks are never exact. Rates that are not numbers are ignored.
func AutoFPS(sourceFPS []float64) int {
	rates := [...]int{15, 20, 24, 25, 30}
	for _, rate := range rates {
		exceeded := false
		for _, fps := range sourceFPS {
			exceeded = exceeded || fps > float64(rate)*1.01
		}
		if !exceeded {
			return rate
		}
	}
	return rates[len(rates)-1]
}
