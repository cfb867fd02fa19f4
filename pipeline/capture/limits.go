package capture

// Limits of a manifest. They are far above what a recorder writes in a day, and
// keep a hostile manifest from costing more than some hundred megabytes.
const (
	maxManifestBytes = 64 << 20
	// maxElements is the number of array elements in the whole manifest: a file
	// of "{},{},{}…" would otherwise become structs a hundred times its size.
	maxElements = 500_000
	maxDepth    = 32

	maxPeers    = 20_000
	maxTracks   = 20_000
	maxFiles    = 100_000 // per beam capture or track
	maxLayers   = 32
	maxPaused   = 10_000
	maxRegions  = 25
	maxRoles    = 100
	maxOffsets  = 100
	maxIDLength = 512
)

// measure walks over JSON text without interpreting it and returns the deepest
// nesting and the number of array elements. Text that is not JSON is measured
// too, only its numbers mean nothing; the decoder refuses it afterwards. It stops
// as soon as a limit is passed.
func measure(data []byte) (depth, elements int) {
	// One bit per level says whether the container is an array.
	var arrays [maxDepth + 2]bool
	level, inString := 0, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '[', '{':
			level++
			depth = max(depth, level)
			if depth > maxDepth {
				return depth, elements
			}
			arrays[level] = c == '['
			if c == '[' {
				elements++ // its first element, counted even if there is none
			}
		case ']', '}':
			level = max(level-1, 0)
		case ',':
			if arrays[level] {
				elements++
			}
		}
		if elements > maxElements {
			return depth, elements
		}
	}
	return depth, elements
}
