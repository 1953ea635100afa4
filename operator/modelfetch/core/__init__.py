"""The pure core: from what is wanted and what is seen to what shall be done and said."""
