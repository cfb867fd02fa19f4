// Package child runs one step of a job in a process of its own: Run starts this very
// program again, Main is what that process calls, and whatever happens to it, a crash
// inside a C decoder, a lack of memory, an endless loop, costs that attempt and
// nothing else. It is for Linux.
//
// # How it works
//
// The parent writes one line to the child's standard input:
//
//	{"v":1,"confine":{"readable":[…],"writable":[…],"memory":…},"input":…}
//
// The child confines itself, and only then calls its handler. It answers in lines on
// its standard output:
//
//	{"confined":{"missing":[…]}}                first
//	{"report":…}                                any number
//	{"result":…}                                last, with exit status 0, or
//	{"error":{"kind":"bad-input","message":…}}  last
//
// The end of its standard input tells it to stop. Anything else that it writes there
// is the end of it (Protocol). Standard error is for people.
//
// # What is guaranteed where the kernel has everything
//
//   - Files: only Spec.Readable and Spec.Writable can be opened, and what Go, the C
//     library and the drawing of names need: time zones, fonts, /dev/null, random
//     numbers, the description of CPU and memory, and the child's own folder in
//     /proc. Elsewhere the child can see at most whether a name exists, and its size.
//     It cannot change modes, owners or times of files, its own ones included.
//   - Network: no socket of any kind, not even a pair.
//   - Processes: no exec, no fork (threads are fine), no signal to others, no look
//     into others.
//   - Memory, CPU time and sizes of files are bounded by Limits, there are no core
//     files, and when the machine runs out of memory the kernel takes the child
//     first.
//   - It sees none of this process's environment but a few harmless variables.
//   - It does not outlive its parent: the kernel kills it then.
//
// The confinement is Landlock and seccomp, of all threads, those that exist already
// too. The limits are in part the kernel's and in part those of a watch in the parent.
// Where a piece is missing the child runs with what there is; Support and
// Outcome.Confinement tell. A process of root stays one of root: a worker should run
// as an ordinary user.
//
// # How to add a permitted path
//
// A path that one kind of step needs goes to Spec.Readable or Spec.Writable of that
// step. It must exist when the child starts, and covers everything below it; links
// count as what they point to. Folders are better than files that a later rename
// replaces: Landlock knows the file, not its name. A path that the C library or Go
// itself opens goes to alwaysReadable, after a look (strace -f -e trace=file) at who
// does so and when.
//
// A system call that turns out to be needed is taken out of deniedCalls, with a
// sentence here on what it opens.
package child
