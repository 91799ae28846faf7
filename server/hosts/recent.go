package hosts

import (
	"container/list"
	"sync"
	"time"
)

// recent remembers up to max things for ttl after they were last put; when full
// it forgets the oldest first.
type recent[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	ttl   time.Duration
	items map[K]*list.Element
	order list.List // newest first
}

type recentItem[K comparable, V any] struct {
	key     K
	value   V
	expires time.Time
}

func newRecent[K comparable, V any](limit int, ttl time.Duration) *recent[K, V] {
	return &recent[K, V]{max: limit, ttl: ttl, items: map[K]*list.Element{}}
}

// get returns what was put under key within the last ttl.
func (r *recent[K, V]) get(key K, now time.Time) (value V, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	if element := r.items[key]; element != nil {
		return element.Value.(*recentItem[K, V]).value, true
	}
	return value, false
}

// put remembers value under key.
func (r *recent[K, V]) put(key K, value V, now time.Time) {
	r.update(key, now, func(V, bool) V { return value })
}

// update replaces what is remembered under key by what fn makes of it.
func (r *recent[K, V]) update(key K, now time.Time, fn func(old V, found bool) V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	element := r.items[key]
	if element == nil {
		var none V
		if len(r.items) >= r.max {
			r.remove(r.order.Back())
		}
		r.items[key] = r.order.PushFront(&recentItem[K, V]{key, fn(none, false), now.Add(r.ttl)})
		return
	}
	item := element.Value.(*recentItem[K, V])
	item.value, item.expires = fn(item.value, true), now.Add(r.ttl)
	r.order.MoveToFront(element)
}

func (r *recent[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if element := r.items[key]; element != nil {
		r.remove(element)
	}
}

// expire removes what is too old: since all things live equally long after they
// were put, those are the last in order.
func (r *recent[K, V]) expire(now time.Time) {
	for last := r.order.Back(); last != nil && !now.Before(last.Value.(*recentItem[K, V]).expires); last = r.order.Back() {
		r.remove(last)
	}
}

func (r *recent[K, V]) remove(element *list.Element) {
	delete(r.items, element.Value.(*recentItem[K, V]).key)
	r.order.Remove(element)
}
