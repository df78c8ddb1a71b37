// Package failpoint names the places at which a test makes the real program die, as kill -9 would there. Only a program that was
// built with -tags failpoints has them: in any other the calls are empty and leave nothing behind.
//
// Such a program reads two variables of its environment. KVASIR_FAILPOINT=NAME:N makes it kill itself when it comes to the point
// NAME for the Nth time, from 1. KVASIR_FAILPOINT_TRACE=FILE makes it append a line to FILE for every point that it passes, and
// for everything noted.
package failpoint
