package layout

import (
	"cmp"
	"slices"
)

// seats remembers who sits where, when there may be more peers than places. The zero value is empty.
//
// With room for all, they sit in order. Without, those who sit stay where they are: a free seat goes to the
// one of the waiting who spoke last, and a speaker without a seat takes that of the one who spoke longest
// ago.
type seats struct{ taken []*stay }

// update seats the peers that are here, given in order, on at most room seats. The result is valid until
// the next update.
func (s *seats) update(here []*stay, room int, speaker *stay) []*stay {
	waiting := make(map[*stay]bool, len(here))
	for _, st := range here {
		waiting[st] = true
	}
	for i, st := range s.taken {
		switch {
		case !waiting[st]:
			s.taken[i] = nil
		case i < room:
			delete(waiting, st)
		}
	}
	if len(here) > room {
		s.crowd(here, room, waiting)
		s.swapIn(speaker, waiting)
		return s.taken
	}
	// Those behind the room, if it shrank, are still waiting and come back in their place in the order.
	s.taken = slices.DeleteFunc(s.taken[:min(room, len(s.taken))], func(st *stay) bool { return st == nil })
	for _, st := range here {
		if !waiting[st] {
			continue
		}
		i := slices.IndexFunc(s.taken, func(o *stay) bool { return o.order > st.order })
		if i < 0 {
			i = len(s.taken)
		}
		s.taken = slices.Insert(s.taken, i, st)
	}
	return s.taken
}

// crowd fills the free seats: with the waiting who spoke last, of those who have not with the first.
func (s *seats) crowd(here []*stay, room int, waiting map[*stay]bool) {
	s.taken = s.taken[:min(room, len(s.taken))]
	fresh := !slices.ContainsFunc(s.taken, func(st *stay) bool { return st != nil })
	if fresh {
		s.taken = nil
	}
	for len(s.taken) < room {
		s.taken = append(s.taken, nil)
	}
	queue := slices.DeleteFunc(slices.Clone(here), func(st *stay) bool { return !waiting[st] })
	slices.SortStableFunc(queue, func(a, b *stay) int { return cmp.Compare(b.spoke, a.spoke) })
	for i, st := range s.taken {
		if st == nil {
			s.taken[i], queue = queue[0], queue[1:]
			delete(waiting, s.taken[i])
		}
	}
	if fresh {
		slices.SortFunc(s.taken, func(a, b *stay) int { return cmp.Compare(a.order, b.order) })
	}
}

// swapIn gives a speaker who waits the seat of the one who spoke longest ago; of several who have never
// spoken, of the one who came last.
func (s *seats) swapIn(speaker *stay, waiting map[*stay]bool) {
	if speaker == nil || !waiting[speaker] || len(s.taken) == 0 {
		return
	}
	longest := 0
	for i, st := range s.taken {
		if o := s.taken[longest]; st.spoke < o.spoke || st.spoke == o.spoke && st.order > o.order {
			longest = i
		}
	}
	s.taken[longest] = speaker
}
