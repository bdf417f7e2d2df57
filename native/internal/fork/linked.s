// This file lets fork.go declare functions that are defined elsewhere.
