package webhook_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog"
	"rushes/catalog/webhook"
)

// script is what a receiver answers.
type script struct {
	mu      sync.Mutex
	answers map[string][]int // by asset path: the status of each attempt, then 200
	taken   map[string]int   // how often an id was answered 200
}

// TestDeliveryProperties: whatever a receiver answers, and however often the
// process begins anew, each event arrives or is kept as failed, under one id,
// in the order of its capture, and never again once it was taken.
func TestDeliveryProperties(t *testing.T) {
	t.Parallel()
	k, r, runs, allFailures := newKit(t), newReceiver(t, nil), 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		s := &script{answers: map[string][]int{}, taken: map[string]int{}}
		attempts, failures, want := 0, 0, map[string][]string{}
		for _, tracks := range rapid.SliceOfN(rapid.IntRange(0, 3), 1, 4).Draw(rt, "jobs") {
			capture := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "capture") + fmt.Sprint(runs)
			for i := range tracks {
				path := fmt.Sprintf("%s-%d-%d.webm", capture, k.jobs, i)
				answers := rapid.SliceOfN(rapid.SampledFrom([]int{500, 302, 204, 429}), 0, 4).Draw(rt, path)
				s.answers[path] = answers
				want[capture] = append(want[capture], path)
				attempts += min(len(answers)+1, 4)
				if len(answers) == 4 {
					failures++
				}
			}
			k.finish(capture, tracks)
		}
		r.setAnswer(s.answer(r))
		before := len(r.all())
		for attempts > 0 {
			some := rapid.IntRange(1, attempts).Draw(rt, "attempts before the process ends")
			_, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}, Concurrency: rapid.IntRange(1, 3).Draw(rt, "concurrency")})
			k.await(some)
			stop()
			attempts -= some + len(k.attempts)
			k.await(len(k.attempts))
		}
		order := map[string][]string{}
		ids := map[string]string{}
		for _, p := range r.all()[before:] {
			path := p.Data["recording_path"].(string) //nolint:forcetypeassert // always there
			if ids[path] == "" {
				ids[path] = p.ID
				capture, _, _ := strings.Cut(path, "-")
				order[capture] = append(order[capture], path)
			}
			require.Equal(rt, ids[path], p.ID)
		}
		require.Equal(rt, want, order)
		for id, n := range s.taken {
			require.Equal(rt, 1, n, id)
		}
		allFailures += failures
		require.Len(rt, k.list(catalog.DeliveryFilter{State: catalog.DeliveryFailed}), allFailures)
		require.Len(rt, s.taken, len(s.answers)-failures)
		require.Empty(rt, k.list(catalog.DeliveryFilter{State: catalog.DeliveryPending}))
	})
}

// answer answers the request that the receiver got last of all with its id.
func (s *script) answer(r *receiver) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		id := q.Header.Get("Webhook-Id")
		path := ""
		for _, p := range r.all() {
			if p.ID == id {
				path = p.Data["recording_path"].(string) //nolint:forcetypeassert // always there
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if rest := s.answers[path]; len(rest) > 0 {
			s.answers[path] = rest[1:]
			w.WriteHeader(rest[0])
			return
		}
		s.taken[id]++
	}
}
