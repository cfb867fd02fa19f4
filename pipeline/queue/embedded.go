package queue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// expiryEvery is how often the embedded broker looks for keys that are to expire.
// Nothing of ours hangs on it: only Asynq's notes of which workers live do.
const expiryEvery = 5 * time.Second

// Broker is a Redis inside this process, for a machine that has none. It listens
// on the loopback address, on a free port and with a random password, so that no
// other user of the machine can put anything into it. It keeps everything in
// memory: what it held is gone when the process ends, and is put back from the
// catalog at the next start.
type Broker struct {
	redis *miniredis.Miniredis
	url   URL
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
}

// StartEmbedded starts a broker. ctx bounds the start only, so that the broker
// outlives the workers that hand back their tickets; the caller must Close it.
func StartEmbedded(ctx context.Context) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	var random [24]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("make the password of the embedded broker: %w", err)
	}
	password := hex.EncodeToString(random[:])
	server := miniredis.NewMiniRedis()
	server.RequireAuth(password)
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	address := url.URL{Scheme: "redis", Host: server.Addr(), User: url.UserPassword("", password)}
	b := &Broker{redis: server, url: URL(address.String()), stop: make(chan struct{}), done: make(chan struct{})}
	go b.expire()
	return b, nil
}

// URL returns the URL, with the password, for Config.RedisURL.
func (b *Broker) URL() URL { return b.url }

// Close ends the broker; what it held is gone. It may be called twice.
func (b *Broker) Close() {
	b.once.Do(func() {
		close(b.stop)
		<-b.done
		b.redis.Close()
	})
}

// expire moves the broker's clock on, which does not move by itself.
func (b *Broker) expire() {
	defer close(b.done)
	ticker := time.NewTicker(expiryEvery)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-b.stop:
			return
		case now := <-ticker.C:
			b.redis.FastForward(now.Sub(last))
			last = now
		}
	}
}
