"""What a person looks at: tables, pictures and pages of a training run."""
