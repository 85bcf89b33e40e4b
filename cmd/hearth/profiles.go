package main

import (
	"encoding/json"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"time"
)

// The control socket also tells how the process does: what a leak looks like
// from inside, and where its time goes. Ask it with
//
//	curl --unix-socket DATA/control.sock http://hearth/memory
//	curl --unix-socket DATA/control.sock http://hearth/profile/cpu?seconds=10 > cpu.pprof

// longestProfile bounds a profile of the processor.
const longestProfile = 5 * time.Minute

// memoryUse is the process's memory after a collection: what is in use is held
// by something.
type memoryUse struct {
	Goroutines  int    `json:"goroutines"`
	HeapBytes   uint64 `json:"heap_bytes"`
	HeapObjects uint64 `json:"heap_objects"`
}

// profiles adds the routes.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /memory", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory() // a collection, and what is free goes back to the kernel
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = json.NewEncoder(w).Encode(memoryUse{runtime.NumGoroutine(), m.HeapAlloc, m.HeapObjects})
	})
	mux.HandleFunc("GET /profile/cpu", profileCPU)
	mux.HandleFunc("GET /profile/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name")) // heap, allocs, goroutine, mutex, block, threadcreate
		if p == nil {
			http.Error(w, "no such profile: cpu, heap, allocs, goroutine, threadcreate", http.StatusNotFound)
			return
		}
		runtime.GC() // so that the heap is that of now
		level, _ := strconv.Atoi(r.FormValue("debug"))
		_ = p.WriteTo(w, level)
	})
}

func profileCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.FormValue("seconds"))
	if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > longestProfile {
		http.Error(w, "say seconds=1 to 300", http.StatusBadRequest)
		return
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(time.Duration(seconds) * time.Second):
	}
}
