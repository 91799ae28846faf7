package bus

import (
	"context"
	"sync"
	"time"
)

// Follow calls look at once, after each hint for one of the topics, and every so
// often in case a hint was lost, until ctx ends. Hints that come while look is
// busy lead to one more call.
func Follow(ctx context.Context, b Bus, every time.Duration, look func(), topics ...string) {
	wake := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	for _, topic := range topics {
		hints, stop := b.Subscribe(topic)
		defer stop()
		listening.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-hints:
					poke(wake)
				}
			}
		})
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		look()
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-ticker.C:
		}
	}
}
