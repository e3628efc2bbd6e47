# Everything here is a plain go or npm command; this file saves typing.

.PHONY: build test lint demo web

build: ## the two programs into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/coldkeep
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -tags nethttpomithttp2 -o bin/ ./cmd/coldkeep-agent # HTTP/2 is half a megabyte that a device has no use for

test: ## all tests beside real servers, which it installs and starts
	go run ./internal/testbed go test -timeout 40m ./...

lint: ## formatting, vet and golangci-lint
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	go vet ./...
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run

demo: web ## a furnished clinic on http://127.0.0.1:8080
	go run ./cmd/coldkeep up --demo

web: ## front-end libraries by npm; the pages work without them
	cd registry/web/assets && npm ci && npm run build
