"""A content-addressed store on a volume: private files become blobs, blobs become trees that consumers mount."""
