package results

import "time"

// Reach says what stretch of the result log was really looked at. Times are those
// of arrival at the server.
type Reach struct {
	// From and To bound the stretch: rows that arrived in it, ends included, were
	// looked at. Both are zero when the log held nothing to look at.
	From, To time.Time
	// Complete is true when that is all that was asked for, and false when the
	// budget of the question ended before.
	Complete bool
	Rows     int64 // rows looked at
}
